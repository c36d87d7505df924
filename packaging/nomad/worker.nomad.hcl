# A program run by brs-exec. Nomad gives tasks a token of their own (workload identity), and
# AWS a role for it: the account needs an OpenID Connect provider with the address of Nomad's
# /.well-known/jwks.json. brs-exec reads the token anew each time, as Nomad renews it.
job "worker" {
  type = "service"

  group "worker" {
    # Copies brs-exec into the directory that the tasks of the group share.
    task "install-brs-exec" {
      driver = "docker"
      lifecycle {
        hook    = "prestart"
        sidecar = false
      }
      config {
        image = "registry.example.com/brs-exec:1"
        args  = ["install", "${NOMAD_ALLOC_DIR}/data"]
      }
      resources {
        cpu    = 100
        memory = 64
      }
    }

    task "worker" {
      driver = "docker"
      user   = "65532:65532"

      identity {
        name        = "aws"
        aud         = ["sts.amazonaws.com"]
        file        = true
        ttl         = "1h"
        change_mode = "noop" # brs-exec reads the file anew
      }

      config {
        image      = "registry.example.com/worker:1"
        entrypoint = ["${NOMAD_ALLOC_DIR}/data/brs-exec"]
        args = [
          "--web-identity-token-file=${NOMAD_SECRETS_DIR}/nomad_aws.jwt",
          "--role-arn=arn:aws:iam::123456789012:role/worker",
          "--region=eu-central-1",
          "--stop-timeout=45s",
          "--log-format=json",
          "--",
          "/app/worker",
        ]
      }
      kill_timeout = "1m" # longer than --stop-timeout
      resources {
        cpu    = 500
        memory = 256
      }
    }
  }
}
