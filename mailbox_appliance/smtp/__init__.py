"""Arrive: ESMTP conversations, the policy table, intake."""
