output "vpc_id" {
  value = aws_vpc.this.id
}

output "cidr" {
  value = aws_vpc.this.cidr_block
}

output "host_subnet_id" {
  # A host that starts before the route to the internet exists cannot install anything.
  value      = aws_subnet.host.id
  depends_on = [aws_route.out, aws_route_table_association.host]
}

output "host_zone" {
  value = aws_subnet.host.availability_zone
}

output "data_subnet_ids" {
  description = "By availability zone."
  value       = { for zone, subnet in aws_subnet.data : zone => subnet.id }
}
