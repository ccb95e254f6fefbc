"""What each verb can be asked: a module for each, apart from the verb's own, which is imported when it is used."""
