output "topic_arn" {
  value = aws_sns_topic.landed.arn
}

output "queue_url" {
  value = aws_sqs_queue.landed.url
}

output "queue_arn" {
  value = aws_sqs_queue.landed.arn
}

output "queue_name" {
  value = aws_sqs_queue.landed.name
}

output "failed_queue_name" {
  value = aws_sqs_queue.failed.name
}

output "failed_queue_url" {
  value = aws_sqs_queue.failed.url
}
