"""What does a checkout need around the product: its programs, its local stack, its checks?"""
