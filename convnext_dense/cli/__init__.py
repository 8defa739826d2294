"""The console command ``convnext-dense``."""
