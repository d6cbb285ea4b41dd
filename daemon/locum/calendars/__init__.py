"""Adapters for calendars: each implements `CalendarSource` and knows nothing of the others."""
