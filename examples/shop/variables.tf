variable "directory" {
  description = "Where the configuration files of the services live."
  type        = string
  default     = "./etc"
}

variable "web_instances" {
  description = "Names of the web servers, one service each."
  type        = set(string)
  default     = ["a", "b", "c", "d", "e", "f"]
}

variable "log_level" {
  description = "The least severe message that the services log."
  type        = string
  default     = "info"
}

variable "database_memory_mb" {
  description = "Memory of the database, in MiB."
  type        = number
  default     = 4096
}

variable "database_password" {
  description = "Password of the database administrator. The default is for the demonstration only."
  type        = string
  sensitive   = true
  default     = "correct-horse-battery-staple"
}
