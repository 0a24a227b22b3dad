"""Following Entra by Microsoft Graph: who was disabled, deleted or taken out of a group loses what that gave, as soon as it is told."""
