// Package door owns what happens between a listener and a handler: who the caller is, whether a browser of a foreign page is
// speaking, and how many connections are held. It knows no endpoint, no model and no body.
//
// A Caller is found once for each connection and travels in the context of its requests. Connections is safe for concurrent use;
// everything else is plain data.
package door
