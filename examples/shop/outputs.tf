output "files" {
  description = "The configuration file of each service."
  value = merge(
    { for key, service in conffile_service.web : "web-${key}" => service.path },
    {
      database = conffile_service.database.path
      cache    = conffile_service.cache.path
      queue    = conffile_service.queue.path
      mailer   = module.mailer.path
    },
  )
}
