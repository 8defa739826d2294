"""Models as graphs: tensors in, tensors of fixed rank out, with what comes before and after the network."""
