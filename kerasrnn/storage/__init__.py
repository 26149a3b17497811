"""Files: lists of terms, weights, presets; written whole, and read without TensorFlow or Keras."""
