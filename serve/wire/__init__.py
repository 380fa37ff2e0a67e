"""What travels: the JSON models of the service, one module a resource."""
