"""From what went wrong to one message that says what to do.

Tasks and commands write *signals* into the *outbox*. One process, the watch, folds them into *incidents* and keeps what
Slack shows equal to them. What decides is pure: `incident`, `diagnosis`, `deadlines`, `silences`, `messages`, `digest`.
"""
