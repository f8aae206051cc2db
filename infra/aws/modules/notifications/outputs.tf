output "topic_arn" {
  value = aws_sns_topic.landed.arn
}

output "queue_urls" {
  description = "By pipeline."
  value       = { for pipeline, queue in aws_sqs_queue.landed : pipeline => queue.url }
}

output "queue_urls_begin" {
  description = "The beginning of every queue's URL; the pipeline's name is the rest. Empty if no pipeline has a queue."
  value       = try([for pipeline, queue in aws_sqs_queue.landed : trimsuffix(queue.url, pipeline)][0], "")
}

output "queue_arns" {
  value = [for queue in aws_sqs_queue.landed : queue.arn]
}

output "failed_queue_arns" {
  value = [for queue in aws_sqs_queue.failed : queue.arn]
}

output "queue_names" {
  description = "By pipeline. Made of what a plan knows."
  value       = { for pipeline in keys(var.pipelines) : pipeline => "${var.name}-landed-${pipeline}" }
}

output "failed_queue_urls" {
  description = "By pipeline."
  value       = { for pipeline, queue in aws_sqs_queue.failed : pipeline => queue.url }
}
