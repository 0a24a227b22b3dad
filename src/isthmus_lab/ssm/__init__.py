"""Systems Manager as AWS answers it: documents, managed nodes and Run Command on the lab's machines."""
