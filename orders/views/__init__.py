"""What shoppers see of orders: one module for each thing they come for."""
