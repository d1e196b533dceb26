package kubernetes

import "strings"

// kinds are the kinds of the built-in resources. Of others the request or the
// response names the kind where the audit level has them.
var kinds = map[string]string{
	"pods": "Pod", "services": "Service", "configmaps": "ConfigMap", "secrets": "Secret", "namespaces": "Namespace", "nodes": "Node",
	"serviceaccounts": "ServiceAccount", "endpoints": "Endpoints", "events": "Event", "limitranges": "LimitRange",
	"persistentvolumes": "PersistentVolume", "persistentvolumeclaims": "PersistentVolumeClaim", "replicationcontrollers": "ReplicationController",
	"resourcequotas": "ResourceQuota", "deployments": "Deployment", "replicasets": "ReplicaSet", "statefulsets": "StatefulSet",
	"daemonsets": "DaemonSet", "jobs": "Job", "cronjobs": "CronJob", "ingresses": "Ingress", "ingressclasses": "IngressClass",
	"networkpolicies": "NetworkPolicy", "roles": "Role", "rolebindings": "RoleBinding", "clusterroles": "ClusterRole",
	"clusterrolebindings": "ClusterRoleBinding", "horizontalpodautoscalers": "HorizontalPodAutoscaler", "poddisruptionbudgets": "PodDisruptionBudget",
	"storageclasses": "StorageClass", "leases": "Lease", "endpointslices": "EndpointSlice", "priorityclasses": "PriorityClass",
	"customresourcedefinitions": "CustomResourceDefinition", "validatingwebhookconfigurations": "ValidatingWebhookConfiguration",
	"mutatingwebhookconfigurations": "MutatingWebhookConfiguration", "apiservices": "APIService",
}

// target returns the object's type, "k8s:Deployment", and its names, the most
// specific first.
func (e *event) target() (typ string, names []string) {
	o := e.ObjectRef
	request, _ := e.RequestObject.(map[string]any)
	kind := kinds[o.Resource]
	if kind == "" && o.Subresource == "" {
		kind, _ = request["kind"].(string)
		if kind == "" {
			kind = e.ResponseObject.Kind
		}
		if kind == "Status" || kind == "DeleteOptions" || strings.HasSuffix(kind, "List") {
			kind = ""
		}
	}
	name := o.Name
	if name == "" && o.Subresource == "" {
		name = e.ResponseObject.Metadata.Name // of a generated name
		if name == "" {
			metadata, _ := request["metadata"].(map[string]any)
			name, _ = metadata["name"].(string)
		}
	}
	kind, name = clean(kind, maxName), clean(name, maxName)
	namespace := clean(o.Namespace, maxName)
	version := clean(strings.TrimPrefix(o.APIGroup+"/"+o.APIVersion, "/"), maxName)
	add := func(parts ...string) {
		names = append(names, strings.Join(parts, "/"))
	}
	at := "" // how a repository's history names it
	if namespace != "" {
		at = "@" + namespace
	}
	switch {
	case name == "": // all of a kind, as deletecollection has them
		add(strings.TrimPrefix(namespace+"/"+clean(o.Resource, maxName), "/"))
	case kind != "" && namespace != "":
		add(version, kind, namespace, name)
		add(kind + "/" + name + at)
	case kind != "":
		add(version, kind, name)
		add(kind, name)
	}
	if name != "" {
		add(strings.TrimPrefix(namespace+"/"+name, "/"))
		add(clean(o.Resource, maxName), name)
	}
	if uid := first(o.UID, e.ResponseObject.Metadata.UID); uid != "" {
		add(clean(uid, maxName))
	}
	if kind != "" {
		typ = "k8s:" + kind
	}
	return typ, names
}
