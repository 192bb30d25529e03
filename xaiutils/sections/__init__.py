"""Tables and sentences of the paper's sections, computed from a study; nothing is drawn here."""
