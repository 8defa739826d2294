"""What a model predicts on an image, whatever it runs on. Importing it takes numpy alone."""
