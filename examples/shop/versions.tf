terraform {
  required_version = ">= 1.6"

  required_providers {
    conffile = {
      source  = "penumbra.example/examples/conffile"
      version = "0.1.0"
    }
  }
}
