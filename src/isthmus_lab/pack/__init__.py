"""Our pack: what neither ministack nor moto answers as AWS does. One module per concern; `install.Pack` puts them in place."""
