"""What the minutes say who wrote them."""

NAME = "extractive"
