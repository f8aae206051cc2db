output "broker_url" {
  description = "The secret broker_url: over TLS, with the server's certificate checked by the system's authorities. [celery] ssl_active stays off."
  value       = "rediss://${aws_elasticache_replication_group.this.primary_endpoint_address}:6379/0?ssl_cert_reqs=required"
}
