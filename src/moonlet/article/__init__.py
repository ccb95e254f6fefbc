"""From a recording to an article that can be checked: media, transcript, outline, write, check, render."""
