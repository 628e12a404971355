package server

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/server/door"
)

// maxModelLabels bounds how many models have time series of their own, and how many adapters; the rest share the name "other".
const maxModelLabels = 100

// otherLabel is their name.
const otherLabel = "other"

// Metrics are the daemon's figures for Prometheus, in a registry of their own. Every label has a bounded set of values: endpoints and
// statuses by their lists, models by maxModelLabels. Safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	handler  http.Handler

	requests   *prometheus.CounterVec // endpoint, code
	duration   *prometheus.HistogramVec
	tokens     *prometheus.CounterVec // kind
	adapted    *prometheus.CounterVec // adapter
	generated  *prometheus.CounterVec // adapter
	firstToken prometheus.Histogram
	interToken prometheus.Histogram
	queue      prometheus.Histogram
	stepRows   prometheus.Histogram
	stepTime   prometheus.Histogram
	unloads    *prometheus.CounterVec // cause
	givenBack  *prometheus.CounterVec // what
	pressure   prometheus.Gauge

	mu     sync.Mutex
	labels map[string]bool // adapters that have time series of their own; under mu
}

// NewMetrics returns metrics at zero.
func NewMetrics(version string) *Metrics {
	seconds := prometheus.ExponentialBuckets(0.001, 2, 18) // 1 ms to 131 s
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weft_server_requests_total", Help: "Requests answered, by endpoint and status; 499 is a client that left.",
		}, []string{"endpoint", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "weft_server_request_duration_seconds", Help: "From a request's arrival to the end of its answer.", Buckets: seconds,
		}, []string{"endpoint"}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weft_server_tokens_total", Help: "Tokens of answered requests: prompt or completion.",
		}, []string{"kind"}),
		adapted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weft_adapter_requests_total", Help: "Requests answered with an adapter; one with several counts for each.",
		}, []string{"adapter"}),
		generated: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weft_adapter_tokens_total", Help: "Tokens generated with an adapter.",
		}, []string{"adapter"}),
		unloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weft_repository_unloads_total", Help: "Models unloaded, by cause: asked, idle, room for another model, or memory pressure.",
		}, []string{"cause"}),
		givenBack: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weft_memory_given_back_bytes_total", Help: "Memory given back under pressure: unused pages of caches, adapters, models, pages of sessions.",
		}, []string{"what"}),
		pressure: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "weft_memory_pressure", Help: "How pressed for memory the machine or the daemon's control group is: from 1 on memory is given back.",
		}),
		labels: map[string]bool{},
		firstToken: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "weft_server_first_token_seconds", Help: "From a request's arrival to its first token.", Buckets: seconds,
		}),
		interToken: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "weft_server_inter_token_seconds", Help: "Between two tokens of one choice, as its handler received them.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14), // 0.5 ms to 4 s
		}),
		queue: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "weft_server_queue_seconds", Help: "From a request's arrival in its engine to its first step.", Buckets: seconds,
		}),
		stepRows: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "weft_engine_step_rows", Help: "Rows (tokens of all sequences) computed in one step.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 12),
		}),
		stepTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "weft_engine_step_duration_seconds", Help: "Time of one step.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "weft_build_info", Help: "Always 1; the version is the label.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(m.requests, m.duration, m.tokens, m.adapted, m.generated, m.firstToken, m.interToken, m.queue, m.stepRows, m.stepTime, m.unloads, m.givenBack, m.pressure, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
	return m
}

// Step notes one step of an engine.
func (m *Metrics) Step(rows int, took time.Duration) {
	m.stepRows.Observe(float64(rows))
	m.stepTime.Observe(took.Seconds())
}

// Unloaded counts a model that was unloaded.
func (m *Metrics) Unloaded(cause string) { m.unloads.WithLabelValues(cause).Inc() }

// GivenBack counts memory that was given back under pressure.
func (m *Metrics) GivenBack(what string, bytes int64) {
	m.givenBack.WithLabelValues(what).Add(float64(bytes))
}

// Pressed notes how pressed for memory the machine is.
func (m *Metrics) Pressed(level float64) { m.pressure.Set(level) }

// observe counts a finished request.
func (m *Metrics) observe(rec *record, total time.Duration) {
	m.requests.WithLabelValues(rec.endpoint, strconv.Itoa(rec.status)).Inc()
	m.duration.WithLabelValues(rec.endpoint).Observe(total.Seconds())
	if rec.choices == 0 {
		return
	}
	m.tokens.WithLabelValues("prompt").Add(float64(rec.prompt))
	m.tokens.WithLabelValues("completion").Add(float64(rec.completion))
	for _, a := range rec.adapters {
		label := m.adapterLabel(a.Name)
		m.adapted.WithLabelValues(label).Inc()
		m.generated.WithLabelValues(label).Add(float64(rec.completion))
	}
	m.queue.Observe(rec.queue.Seconds())
	if rec.firstToken > 0 {
		m.firstToken.Observe(rec.firstToken.Seconds())
	}
}

// adapterLabel is an adapter's name for the first maxModelLabels adapters that were used. A counter must not change its name later.
func (m *Metrics) adapterLabel(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.labels[name] {
		if len(m.labels) == maxModelLabels {
			return otherLabel
		}
		m.labels[name] = true
	}
	return name
}

// watch adds the figures that are read off models and adapters when Prometheus asks. adapters may be nil.
func (m *Metrics) watch(models Models, adapters Adapters, connections *door.Connections) {
	m.registry.MustRegister(&modelCollector{models: models})
	if adapters != nil {
		m.registry.MustRegister(&adapterCollector{adapters})
	}
	if connections != nil {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "weft_server_connections", Help: "Connections held now.",
		}, func() float64 { return float64(connections.Held()) }))
	}
}

// modelCollector reads the state of all models once for each scrape.
type modelCollector struct{ models Models }

var (
	descModels     = prometheus.NewDesc("weft_repository_models", "Models known, by state.", []string{"state"}, nil)
	descResident   = prometheus.NewDesc("weft_repository_resident_bytes", "Memory that a model holds: weights, cache and scratch.", []string{"model"}, nil)
	descRunning    = prometheus.NewDesc("weft_engine_running_sequences", "Sequences being computed.", []string{"model"}, nil)
	descQueued     = prometheus.NewDesc("weft_engine_queue_requests", "Requests that wait for their first step.", []string{"model"}, nil)
	descPagesUsed  = prometheus.NewDesc("weft_engine_used_pages", "Pages of the cache in use.", []string{"model"}, nil)
	descPagesKept  = prometheus.NewDesc("weft_engine_kept_pages", "Pages of the cache that no request holds, kept for one that begins alike.", []string{"model"}, nil)
	descDrafted    = prometheus.NewDesc("weft_engine_drafted_tokens", "Guesses at tokens to come that the loaded generation has computed.", []string{"model"}, nil)
	descAccepted   = prometheus.NewDesc("weft_engine_accepted_tokens", "Of these, those that were right: each saved a step.", []string{"model"}, nil)
	descPreempted  = prometheus.NewDesc("weft_engine_preemptions", "Times that a sequence of the loaded generation gave its pages up to another and was computed again: many say that the cache is small for what is asked at once.", []string{"model"}, nil)
	descPagesTotal = prometheus.NewDesc("weft_engine_total_pages", "Pages of the cache.", []string{"model"}, nil)
)

func (c *modelCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descModels, descResident, descRunning, descQueued, descPagesUsed, descPagesKept, descPagesTotal, descPreempted, descDrafted, descAccepted} {
		ch <- d
	}
}

func (c *modelCollector) Collect(ch chan<- prometheus.Metric) {
	states := map[string]int{api.StateServing: 0, api.StateUnloaded: 0, api.StateRefused: 0}
	figures := map[string]api.ModelStatus{}
	for _, st := range c.models.List() {
		states[st.State]++
		if st.Generation == 0 {
			continue // never served: it has no engine
		}
		name := st.Name
		if _, known := figures[name]; !known && len(figures) >= maxModelLabels {
			name = otherLabel
		}
		sum := figures[name] // a replaced generation that still runs has its successor's name
		sum.Resident += st.Resident
		sum.Running += st.Running
		sum.Queued += st.Queued
		sum.PagesUsed += st.PagesUsed
		sum.PagesKept += st.PagesKept
		sum.PagesTotal += st.PagesTotal
		sum.Preempted += st.Preempted
		sum.Drafted += st.Drafted
		sum.Accepted += st.Accepted
		figures[name] = sum
	}
	gauge := func(d *prometheus.Desc, v float64, label string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, label)
	}
	for state, n := range states {
		gauge(descModels, float64(n), state)
	}
	for name, f := range figures {
		gauge(descResident, float64(f.Resident), name)
		gauge(descRunning, float64(f.Running), name)
		gauge(descQueued, float64(f.Queued), name)
		gauge(descPagesUsed, float64(f.PagesUsed), name)
		gauge(descPagesKept, float64(f.PagesKept), name)
		gauge(descPagesTotal, float64(f.PagesTotal), name)
		gauge(descPreempted, float64(f.Preempted), name)
		gauge(descDrafted, float64(f.Drafted), name)
		gauge(descAccepted, float64(f.Accepted), name)
	}
}

// adapterCollector reads the state of all adapters once for each scrape.
type adapterCollector struct{ adapters Adapters }

var (
	descAdapters         = prometheus.NewDesc("weft_adapters", "Adapters known, by state.", []string{"state"}, nil)
	descAdaptersResident = prometheus.NewDesc("weft_adapters_resident_bytes", "Memory that adapters take.", nil, nil)
)

func (c *adapterCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- descAdapters
	ch <- descAdaptersResident
}

func (c *adapterCollector) Collect(ch chan<- prometheus.Metric) {
	states := map[string]int{api.StatePublished: 0, api.StateRefused: 0}
	for _, st := range c.adapters.List() {
		states[st.State]++
	}
	for state, n := range states {
		ch <- prometheus.MustNewConstMetric(descAdapters, prometheus.GaugeValue, float64(n), state)
	}
	resident, _ := c.adapters.Memory()
	ch <- prometheus.MustNewConstMetric(descAdaptersResident, prometheus.GaugeValue, float64(resident))
}

func (s *Server) handleMetrics(w http.ResponseWriter, r *http.Request, _ *record) error {
	s.o.Metrics.handler.ServeHTTP(w, r)
	return nil
}
