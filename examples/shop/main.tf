# A small web shop: six web servers in front of a database, a cache and a queue, and one worker
# that sends the mail. Each service is a configuration file that anybody can edit by hand.

locals {
  web_connections = 512 # what one web server holds open on a busy day

  # One connection in eight reaches the database; the rest is for people.
  database_connections = local.web_connections * length(var.web_instances) / 8 + 16

  tags = {
    shop  = "penumbra"
    owner = "platform"
  }
}

# The web servers are alike on purpose: a fleet of peers is where one that differs stands out.
resource "conffile_service" "web" {
  for_each = var.web_instances

  directory = var.directory
  name      = "web-${each.key}"

  listen_port      = 8080 # changing it replaces the service
  worker_processes = 4
  max_connections  = local.web_connections
  memory_mb        = 1024 # a literal: two workers at 512 MiB each
  log_level        = var.log_level
  tls              = true

  tags = merge(local.tags, { tier = "web" })

  limits = {
    requests_per_second = 50
    burst               = 100
    timeout_seconds     = 30
  }

  # Most requests go to the cache first.
  upstreams = [
    { address = "cache:6379", weight = 3 },
    { address = "database:5432", weight = 1 },
  ]
}

resource "conffile_service" "database" {
  directory = var.directory
  name      = "database"

  listen_port     = 5432
  max_connections = local.database_connections
  memory_mb       = var.database_memory_mb
  log_level       = "warning" # queries at info fill the disk
  tls             = true
  admin_password  = var.database_password

  tags = merge(local.tags, { tier = "data", backup = "daily" })
}

# log_level is left out here: whatever the file says is fine, and a change is still seen.
resource "conffile_service" "cache" {
  directory = var.directory
  name      = "cache"

  listen_port     = 6379
  max_connections = 2048
  memory_mb       = 512

  tags = merge(local.tags, { tier = "data" })
}

resource "conffile_service" "queue" {
  directory = var.directory
  name      = "queue"

  listen_port      = 5672
  worker_processes = 2
  max_connections  = 1024
  memory_mb        = 768
  log_level        = var.log_level
  tls              = false # inside the private network only

  tags = merge(local.tags, { tier = "data" })

  limits = {
    burst = 500
  }
}

# The worker comes from a module, as shared building blocks do in a real stack.
module "mailer" {
  source = "./modules/worker"

  directory = var.directory
  name      = "mailer"
  log_level = var.log_level
  queue     = "queue:${conffile_service.queue.listen_port}"
  tags      = local.tags
}
