output "broker_url" {
  description = "The secret broker_url: TLS, and the server's certificate is checked. Celery refuses rediss:// without ssl_cert_reqs."
  value       = "rediss://${aws_elasticache_replication_group.this.primary_endpoint_address}:6379/0?ssl_cert_reqs=required"
}
