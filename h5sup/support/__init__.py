"""What helps others to find a fault: the support bundle, without any secret."""
