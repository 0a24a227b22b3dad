"""Locations of the control plane: ARM's short names with their display names, and where the resources of each AWS region are shown."""

from __future__ import annotations

LOCATIONS = {
    "australiaeast": "Australia East",
    "brazilsouth": "Brazil South",
    "canadacentral": "Canada Central",
    "centralus": "Central US",
    "eastasia": "East Asia",
    "eastus": "East US",
    "eastus2": "East US 2",
    "francecentral": "France Central",
    "germanywestcentral": "Germany West Central",
    "japaneast": "Japan East",
    "northeurope": "North Europe",
    "southcentralus": "South Central US",
    "southeastasia": "Southeast Asia",
    "swedencentral": "Sweden Central",
    "uksouth": "UK South",
    "westcentralus": "West Central US",
    "westeurope": "West Europe",
    "westus2": "West US 2",
    "westus3": "West US 3",
}

CONNECTOR_LOCATIONS = (
    "westcentralus",
    "westeurope",
    "canadacentral",
    "eastus",
    "westus2",
    "southcentralus",
    "uksouth",
    "eastus2",
    "northeurope",
    "westus3",
    "swedencentral",
    "southeastasia",
    "australiaeast",
)
PROJECTION_LOCATIONS = ("eastus", "brazilsouth", "australiaeast", "southeastasia", "westeurope", "uksouth")
