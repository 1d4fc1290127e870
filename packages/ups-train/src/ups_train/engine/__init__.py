"""What every training needs, and nothing of what is trained."""
