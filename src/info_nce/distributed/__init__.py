"""What only a group of processes needs. No other part of the package knows `torch.distributed`."""
