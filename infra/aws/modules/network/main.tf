# A small network: the host's subnet has outgoing connections only; the subnets of storage and databases have none.

resource "aws_vpc" "this" {
  #checkov:skip=CKV2_AWS_11:Nothing here accepts a connection from outside. Flow logs are an account's choice, and its bill.
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.name }
}

# A resource without a security group of its own gets this one, which allows nothing.
resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id
}

resource "aws_subnet" "host" {
  vpc_id            = aws_vpc.this.id
  availability_zone = var.availability_zones[0]
  cidr_block        = cidrsubnet(var.cidr, 8, 0)

  tags = { Name = "${var.name}-host" }
}

resource "aws_subnet" "data" {
  for_each          = { for index, zone in var.availability_zones : zone => index }
  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.cidr, 8, 10 + each.value)

  tags = { Name = "${var.name}-data-${each.key}" }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_route_table" "host" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-host" }
}

resource "aws_route" "out" {
  route_table_id         = aws_route_table.host.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "host" {
  subnet_id      = aws_subnet.host.id
  route_table_id = aws_route_table.host.id
}

# Free, and the days' data does not cross the internet gateway.
resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.host.id]
}
