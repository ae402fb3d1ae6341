"""One more process for work that is a function of its input: over pipes, and never needed for an answer.

What is asked and answered are bytes; keys and health data among them go through pipes only, never through
arguments, the environment or files. What the process does not answer is worked out here instead.
"""
