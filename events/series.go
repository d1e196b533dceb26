package events

import (
	"regexp"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// SeriesFormat is the format of a series where a rule asks for one.
const SeriesFormat = "metrics"

// identifyingLabels name what a series is about, the most specific first. Their
// case and their marks do not matter: DBInstanceIdentifier is among them.
var identifyingLabels = []string{
	"address", "resource", "arn", "resource_arn", "resource_id", "self_link", "uid",
	"db_instance_identifier", "dbinstance_identifier", "db_cluster_identifier", "dbcluster_identifier", "db_instance_id", "cache_cluster_id",
	"instance_id", "function_name", "bucket_name", "queue_name", "table_name", "load_balancer", "target_group",
	"deployment", "statefulset", "daemonset", "cronjob", "pod", "pod_name", "container", "k8s_deployment_name", "k8s_pod_name",
	"service_name", "service", "unit", "name", "path", "filename",
	"node", "nodename", "kubernetes_node", "host", "hostname", "host_name", "server", "instance", "exported_instance", "target",
}

var labelOrder = func() map[string]int {
	order := make(map[string]int, len(identifyingLabels))
	for i, l := range identifyingLabels {
		order[plainPath(l)] = i + 1
	}
	return order
}()

// typedLabels are those whose name tells the type too.
var typedLabels = map[string]string{
	"dbinstanceidentifier": "db instance", "dbinstanceid": "db instance", "dbclusteridentifier": "cluster",
	"functionname": "function", "bucketname": "bucket", "queuename": "queue", "tablename": "table",
}

// kindLabels are those whose name is the kind of an object of Kubernetes.
var kindLabels = map[string]string{
	"deployment": "deployment", "statefulset": "stateful set", "daemonset": "daemon set", "cronjob": "cron job",
	"k8sdeploymentname": "deployment", "pod": "pod", "podname": "pod", "k8spodname": "pod",
}

// maxLabels is how many labels of a series are looked at.
const maxLabels = 128

// Series returns the resource that a metric's series is about; ok is false if its
// labels name none, or several. Rules of resources are for series too: their
// format is [SeriesFormat], their attributes are the labels.
func (m *Mapper) Series(metricInput string, labels map[string]string) (a penumbra.Address, ok bool) {
	rec := penumbra.Record{Input: metricInput, Format: SeriesFormat, Attributes: labels, Targets: targetsOf(labels)}
	rule := m.rules.resourceRule(&rec)
	if rule != nil && rule.Ignore {
		return "", false
	}
	m.index.mu.RLock()
	defer m.index.mu.RUnlock()
	found, _ := m.whose(&rec, rule)
	if len(found) == 0 {
		return "", false
	}
	return found[0].address, true
}

// replicaSuffix is what Kubernetes puts behind the name of what a pod belongs to.
var replicaSuffix = regexp.MustCompile(`-[a-z0-9]{5}$`)
var replicaSetSuffix = regexp.MustCompile(`-[a-f0-9]{6,10}-[a-z0-9]{5}$|-[0-9]{1,4}$`)

// targetsOf returns the identifiers among labels, the most specific first.
func targetsOf(labels map[string]string) []string {
	if len(labels) > maxLabels {
		return nil
	}
	byOrder := make([][]string, len(identifyingLabels)+1)
	namespace := labels["namespace"]
	if namespace == "" {
		namespace = labels["k8s_namespace_name"]
	}
	for label, value := range labels {
		plain := plainPath(label)
		at := labelOrder[plain]
		if at == 0 || value == "" {
			continue
		}
		var targets []string
		kind := kindLabels[plain]
		switch {
		case kind == "pod" && namespace != "":
			targets = append(targets, "pod/"+namespace+"/"+value)
			if owner := replicaSetSuffix.ReplaceAllString(value, ""); owner != value {
				targets = append(targets, namespace+"/"+owner)
			} else if owner := replicaSuffix.ReplaceAllString(value, ""); owner != value {
				targets = append(targets, "daemon set/"+namespace+"/"+owner)
			}
		case kind != "" && namespace != "":
			targets = append(targets, kind+"/"+namespace+"/"+value)
		case typedLabels[plain] != "":
			targets = append(targets, typedLabels[plain]+"/"+value, value)
		default:
			targets = append(targets, value)
		}
		// Two labels that differ in marks only: in the order of their texts.
		if old := byOrder[at]; len(old) > 0 && old[0] > targets[0] {
			byOrder[at] = append(targets, old...)
		} else {
			byOrder[at] = append(old, targets...)
		}
	}
	var out []string
	for _, targets := range byOrder {
		out = append(out, targets...)
	}
	return out
}

// IsDenied reports whether an event is an attempt that had no effect.
func IsDenied(o *penumbra.Observation) bool {
	return o.Kind == penumbra.EventKind && strings.HasPrefix(o.Action, DeniedPrefix)
}
