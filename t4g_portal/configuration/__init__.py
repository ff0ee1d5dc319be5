"""What people configure, as one YAML file: export, import and the guide's seed.

`sections` lists what can stand in the file; every other module here knows no app.
"""
