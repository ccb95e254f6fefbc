"""Fields of life in which tools act: what each holds, its tools, and how people ask for them in three languages."""
