#!/bin/sh
# Signs a batch of usage events by the Standard Webhooks scheme and sends it: JSON on standard input, the answer on
# standard output. Needs curl and openssl, and in the environment COSTPLUS_URL, SERVICE_KEY and SIGNING_SECRET.
set -eu

body=$(cat)
id="msg_$(openssl rand -hex 12)"
timestamp=$(date +%s)
# The bytes behind "whsec_" are the key; what is signed is the id, the time and the very bytes that are sent.
key=$(printf %s "${SIGNING_SECRET#whsec_}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n')
signature=$(printf '%s.%s.%s' "$id" "$timestamp" "$body" |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)

curl -sS "$COSTPLUS_URL/v1/usage" \
  -H "authorization: Bearer $SERVICE_KEY" -H 'content-type: application/json' \
  -H "webhook-id: $id" -H "webhook-timestamp: $timestamp" -H "webhook-signature: v1,$signature" \
  --data-binary "$body"
echo
