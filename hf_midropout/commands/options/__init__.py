"""Options of the commands: their names, the parser, YAML files, help; those about data, which several share."""
