#!/bin/sh
# Onboarding step on Linux. Every value below passed the document's allowedPattern: no quote, blank, dollar or backtick can occur in one.
action='{{ action }}'
proxy='{{ proxy }}'
export ISTHMUS_ENDPOINT='{{ endpoint }}' ISTHMUS_CA='{{ ca }}' ISTHMUS_GENERATION='{{ generation }}'
umask 077
self="${AWS_SSM_INSTANCE_ID:-}"
[ -n "$self" ] || { echo 'Systems Manager did not say which instance this is'; exit 204; }
PATH="$PATH:/opt/azcmagent/bin"
command -v azcmagent >/dev/null 2>&1 || { echo 'azcmagent is not installed'; exit 201; }
if [ -n "$proxy" ]; then
  export HTTPS_PROXY="$proxy" https_proxy="$proxy"
  azcmagent config set proxy.url "$proxy" >/dev/null 2>&1 || :
fi
# An agent that was ever connected has this file; asking it costs a process, so others are not asked.
if [ -n '{{ subscriptionId }}' ] && [ -e "${ISTHMUS_AGENT_ROOT:-}/var/opt/azcmagent/agentconfig.json" ]; then
  ours="/subscriptions/{{ subscriptionId }}/resourceGroups/{{ resourceGroup }}/providers/Microsoft.HybridCompute/machines/$self"
  theirs=$(azcmagent show -j 2>/dev/null | tr -d '\r\n' | sed -n 's/.*"resourceId" *: *"\([^"]*\)".*/\1/p')
  if [ -n "$theirs" ] && [ "$(echo "$theirs" | tr '[:upper:]' '[:lower:]')" != "$(echo "$ours" | tr '[:upper:]' '[:lower:]')" ]; then
    echo "connected elsewhere: $theirs"
    exit 205
  fi
fi
if [ "$action" = genkey ]; then
  key=$(azcmagent genkey) || { code=$?; printf '%s\n' "$key" | tail -c 1800; exit "$code"; }
  [ -n "$key" ] || { echo 'azcmagent genkey printed nothing'; exit 202; }
  printf '%s\n' '-----BEGIN ISTHMUS KEY-----' "$key" '-----END ISTHMUS KEY-----'
  exit 0
fi
vmid=$(printf '%s' '{{ machines }}' | tr ';' '\n' | sed -n "s/^$self=//p")
[ -n "$vmid" ] || { echo 'this instance is not among the machines of the command'; exit 203; }
[ -n '{{ correlationId }}' ] && set -- --correlation-id '{{ correlationId }}' || set --
answer=$(azcmagent connect existing --subscription-id '{{ subscriptionId }}' --resource-group '{{ resourceGroup }}' \
  --resource-name "$self" --location '{{ location }}' --tenant-id '{{ tenantId }}' --vmid "$vmid" --use-saved-key "$@" 2>&1)
code=$?
printf '%s\n' "$answer" | tail -c 1800
exit "$code"
