"""What a shopper committed to: orders, their lines and their history."""
