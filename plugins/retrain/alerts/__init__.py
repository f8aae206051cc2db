"""Alerts: one message per problem, with its cause and the next step.

Tasks and commands write *signals* into the *outbox*. One process, the watch, folds the signals into *incidents* and keeps the
messages in Slack equal to them. Decisions are in modules without I/O: `incident`, `diagnosis`, `deadlines`, `silences`,
`message`.
"""
