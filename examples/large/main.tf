# Many alike services, to measure how long a refresh, a plan and a snapshot take.

variable "resources" {
  description = "How many services there are."
  type        = number
  default     = 2000
}

variable "directory" {
  description = "Where the configuration files of the services live."
  type        = string
  default     = "./etc"
}

resource "conffile_service" "node" {
  count = var.resources

  directory = var.directory
  name      = format("node-%05d", count.index)

  listen_port      = 20000 + count.index
  worker_processes = 4
  max_connections  = 256
  memory_mb        = 512
  log_level        = "info"
  tls              = true

  tags = {
    fleet = "large"
    rack  = format("r%02d", count.index % 40)
  }

  limits = {
    requests_per_second = 50
    burst               = 100
  }
}
