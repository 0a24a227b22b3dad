# Onboarding step on Windows. Every value below passed the document's allowedPattern: no quote, blank, dollar or backtick can occur in one.
$action = '{{ action }}'
$proxy = '{{ proxy }}'
$env:ISTHMUS_ENDPOINT = '{{ endpoint }}'
$env:ISTHMUS_CA = '{{ ca }}'
$env:ISTHMUS_GENERATION = '{{ generation }}'
function Stop-With($code, $text) { Write-Output $text; exit $code }
function Get-Tail($lines) { $all = $lines -join "`n"; $all.Substring([Math]::Max(0, $all.Length - 1800)) }
$self = $env:AWS_SSM_INSTANCE_ID
if (-not $self) { Stop-With 204 'Systems Manager did not say which instance this is' }
$found = Get-Command azcmagent.exe -ErrorAction SilentlyContinue
$agent = if ($found) { $found.Source } else { "$env:ProgramFiles\AzureConnectedMachineAgent\azcmagent.exe" }
if (-not (Test-Path $agent)) { Stop-With 201 'azcmagent is not installed' }
if ($proxy) {
  $env:HTTPS_PROXY = $proxy
  & $agent config set proxy.url $proxy *> $null
}
# An agent that was ever connected has this file; asking it costs a process, so others are not asked.
if ('{{ subscriptionId }}' -and (Test-Path "$env:ProgramData\AzureConnectedMachineAgent\Config\agentconfig.json")) {
  $ours = "/subscriptions/{{ subscriptionId }}/resourceGroups/{{ resourceGroup }}/providers/Microsoft.HybridCompute/machines/$self"
  $theirs = ((& $agent show -j) -join "`n" | ConvertFrom-Json).resourceId
  if ($theirs -and ($theirs -ne $ours)) { Stop-With 205 "connected elsewhere: $theirs" }
}
if ($action -eq 'genkey') {
  $key = & $agent genkey
  if ($LASTEXITCODE -ne 0) { Stop-With $LASTEXITCODE (Get-Tail $key) }
  if (-not $key) { Stop-With 202 'azcmagent genkey printed nothing' }
  Write-Output '-----BEGIN ISTHMUS KEY-----' $key '-----END ISTHMUS KEY-----'
  exit 0
}
$entry = '{{ machines }}'.Split(';') | Where-Object { $_.StartsWith("$self=") } | Select-Object -First 1
if (-not $entry) { Stop-With 203 'this instance is not among the machines of the command' }
$more = @()
if ('{{ correlationId }}') { $more = @('--correlation-id', '{{ correlationId }}') }
$answer = & $agent connect existing --subscription-id '{{ subscriptionId }}' --resource-group '{{ resourceGroup }}' `
  --resource-name $self --location '{{ location }}' --tenant-id '{{ tenantId }}' --vmid $entry.Substring($self.Length + 1) --use-saved-key @more
Stop-With $LASTEXITCODE (Get-Tail $answer)
