"""What a shopper is about to buy: stalls, products, carts."""
