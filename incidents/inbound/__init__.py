"""Where people act on incidents from outside: links, Slack buttons, SMS, phone keys."""
