output "file_system_id" {
  # A file system without its mount targets cannot be mounted.
  value      = aws_efs_file_system.this.id
  depends_on = [aws_efs_mount_target.this]
}

output "access_point_id" {
  value = aws_efs_access_point.this.id
}
