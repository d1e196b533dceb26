# A background worker that takes its work from a queue.

variable "directory" {
  description = "Where the configuration file lives."
  type        = string
}

variable "name" {
  description = "Name of the worker."
  type        = string
}

variable "queue" {
  description = "Host and port of the queue."
  type        = string
}

variable "log_level" {
  description = "The least severe message that is logged."
  type        = string
}

variable "processes" {
  description = "Number of worker processes."
  type        = number
  default     = 2
}

variable "tags" {
  description = "Labels that every service of the stack has."
  type        = map(string)
}

resource "conffile_service" "this" {
  directory = var.directory
  name      = var.name

  worker_processes = var.processes
  memory_mb        = var.processes * 128 # each process holds one batch in memory
  log_level        = var.log_level

  tags = merge(var.tags, { tier = "worker" })

  upstreams = [
    { address = var.queue },
  ]
}

output "path" {
  description = "The configuration file of the worker."
  value       = conffile_service.this.path
}
