"""The drills' fixtures come from the Blackstart plugin; sample-stack helpers live in fixtures/."""
