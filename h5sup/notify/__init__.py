"""Events out of the house: webhooks and MQTT."""
