// Package kubernetes answers one question: who did what to which Kubernetes
// object? It reads the audit events of an API server (audit.k8s.io/v1 and its
// betas) as log records: one event a line, as the log backend writes them, or
// an EventList, as the webhook backend sends it.
//
// Use a [Parser] for each input. What it guarantees:
//
//   - A request is one record. An event comes at up to three stages of a
//     request; only ResponseComplete is a record, since only then it is known
//     whether the request had an effect. The others give no record and no error.
//   - A line that cannot be read is an error with the reason, which quotes
//     nothing of the line; of a list the events that can be read are returned.
//   - The actor is the person where a proxy impersonates one.
//   - No secret leaves the package: all data of a Secret is sealed whatever its
//     name, other settings as their names and values tell, texts are redacted.
//   - Memory is bounded by the line.
//
// The fields are those of "kube-apiserver Audit Configuration (v1)" in
// Kubernetes' reference. docs/logs-audit.md says what is made of them.
package kubernetes
